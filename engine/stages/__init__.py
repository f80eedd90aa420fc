"""What is computed: stage by stage, from events to tables."""
