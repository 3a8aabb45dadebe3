"""The domain holds vehicles, their papers, and the record that each purchase leaves here."""
