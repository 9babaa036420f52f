"""How well captions find their pictures, and pictures their captions."""
