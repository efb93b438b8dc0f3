"""What main.py needs and no page does. Nothing is imported here: some of it runs where there is only Python."""
