"""What the Coder tries: small changes, the model's doubts, crossed attempts, and the order in which they come."""
