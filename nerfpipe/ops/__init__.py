"""Operations that have a fast form: the plain torch definition of each, and which form runs."""
