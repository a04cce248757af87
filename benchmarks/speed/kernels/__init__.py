"""The recurrent layers beside their peers: training, inference, options, streaming, memory."""
