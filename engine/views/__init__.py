"""What is drawn of a study and of its physics: the data behind each figure."""
