"""The web page that a node serves: its files, and how they are sent."""
