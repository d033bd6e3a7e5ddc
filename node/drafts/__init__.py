"""Jobs that were uploaded and are not posted yet: received, read, tried out, reviewed."""
