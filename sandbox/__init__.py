"""Practice ERPs that misbehave on demand. Must import nothing else of this project."""
