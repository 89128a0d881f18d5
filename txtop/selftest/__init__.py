"""What txtop itself does to the numbers it shows."""
