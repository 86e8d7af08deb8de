"""The supervisor: keeps services and the edge alive, holds their ports, outlived by both."""
