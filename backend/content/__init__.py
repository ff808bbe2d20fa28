"""Bytes by CID. The backend stores what it is given and never holds a key."""
