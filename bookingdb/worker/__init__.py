"""Claims the deliveries of events, sends them, and writes down what became of them."""
