"""RabbitMQ has these settings for its certificate."""


def tls_settings(certificate: str) -> dict[str, object]:
    """Return the lines of rabbitmq.conf for a certificate and its key in one file. TLS 1.2 is the
    oldest version.
    """
    return {
        "ssl_options.certfile": certificate,
        "ssl_options.keyfile": certificate,
        "ssl_options.versions.1": "tlsv1.3",
        "ssl_options.versions.2": "tlsv1.2",
        "management.ssl.certfile": certificate,
        "management.ssl.keyfile": certificate,
        "management.ssl.versions.1": "tlsv1.3",
        "management.ssl.versions.2": "tlsv1.2",
    }
