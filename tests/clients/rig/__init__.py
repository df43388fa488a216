"""What the tests stand on: a certificate authority, a receiver, the server under test, and its customers.

Nothing in here knows how the server works inside. Everything goes through its documented outside.
"""
