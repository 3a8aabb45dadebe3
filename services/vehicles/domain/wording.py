"""The words of a search are compared without case and without accents."""

ACCENTED = "ÁÀÂÃÄÅÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜÇÑÝáàâãäåéèêëíìîïóòôõöúùûüçñýÿ"
PLAIN = "aaaaaaeeeeiiiiooooouuuucnyaaaaaaeeeeiiiiooooouuuucnyy"
_TO_PLAIN = str.maketrans(ACCENTED, PLAIN)


def words_of(text: str) -> tuple[str, ...]:
    """Return the words in lower case without accents: `("citroen", "c3")` for `Citroën  C3`."""
    return tuple(text.translate(_TO_PLAIN).lower().split())
