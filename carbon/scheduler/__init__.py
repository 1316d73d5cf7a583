"""The elected leader's loop: plan anew, hand over what is due, see what became of it."""
