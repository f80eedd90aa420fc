"""What a scan would cost, before it is started."""
