"""What a payment is: its states, its events, its refusals."""
