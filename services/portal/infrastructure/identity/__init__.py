"""Who somebody is: sessions, tokens, passwords, and what each may see."""
