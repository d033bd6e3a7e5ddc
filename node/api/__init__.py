"""What a node can be asked over HTTP, by the web page, the command line and other programs."""
