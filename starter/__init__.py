"""How an idea is begun, steered and watched."""
