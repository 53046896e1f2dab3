"""Pay: exchange rates, with which pay in different currencies is compared."""
