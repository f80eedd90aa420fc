"""What a reader gets: lines, figures, files, and runs in MLflow. Reads results and decides nothing."""
