"""A long password may still be easy to guess, because attackers try some passwords first."""

from string import ascii_lowercase, digits

MIN_DIFFERENT = 5
_WORDS = (
    "password passwort senha contrasena contraseña clave qwerty admin administrator administrador"
    " welcome bienvenido bemvindo letmein changeme iloveyou teamo teste test usuario user login"
    " brasil brazil flamengo corinthians palmeiras mercado mercadoveiculo veiculo secret segredo"
    " secreto superman batman football futebol princess dragon monkey"
)
WORDS = frozenset(_WORDS.split())
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_KEYS = (digits, digits[1:] + "0", ascii_lowercase, *_ROWS, "".join(_ROWS), "1q2w3e4r5t6y7u8i9o0p")
RUNS = tuple(row * 3 for keys in _KEYS for row in (keys, keys[::-1]))


def is_guessable(password: str) -> bool:
    """Return whether it is a run of keys such as 1234567890, has few different characters, or is a
    common word followed by digits and signs.
    """
    text = password.casefold()
    return (
        len(set(text)) < MIN_DIFFERENT
        or any(text in run for run in RUNS)
        or text.rstrip(digits + "!?@#$%*._-") in WORDS
    )
