"""The requests and answers of the node's API, by area; the OpenAPI document and the Python client are made of them.

Amounts are decimal strings of wei (a token has 10^18), times are seconds since the epoch, ids are hexadecimal.
"""
