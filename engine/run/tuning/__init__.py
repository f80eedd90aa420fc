"""The best R and the best fields of the models, on pools of their own, written back as a study."""
