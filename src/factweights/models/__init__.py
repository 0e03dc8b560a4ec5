"""Put facts into real language models, and ask them what they know."""
