"""What happens when a bundle enters a module that the engine carries out itself."""
