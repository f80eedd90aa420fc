"""What stages share: events, training sets, scored populations, rows and the tables made of them."""
