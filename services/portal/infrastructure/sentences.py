"""Sentences that the services and our own domain answer people with, so that they are translated.

`#` stands for a number.
"""

from services.portal.infrastructure.i18n import marked

SENTENCES = (
    marked("a name has # to # printable characters"),
    marked("this is no e-mail address"),
    marked("this is no phone number"),
    marked("this is no CPF and no CNPJ"),
    marked("another customer has this document"),
    marked("you are registered already"),
    marked(
        "some of the stored data cannot be read, so it cannot be changed now; an operator finds"
        " the reason in the log"
    ),
    marked("the customer is at version #, not #"),
    marked("a password has # to # characters"),
    marked("the password must not be your e-mail"),
    marked("somebody signs in with this e-mail already"),
    marked("e-mail or password is wrong"),
    marked("too many sign-ins failed; try again in a quarter of an hour"),
    marked("roles are admin, buyer, operator, seller; at least one"),
    marked("somebody else has to be an admin first"),
    marked("this customer was erased"),
    marked("you are registered as a customer already"),
    marked("The year is between # and #."),
    marked("The price is between # and # cents."),
    marked("make is # to # printable characters."),
    marked("model is # to # printable characters."),
    marked("colour is # to # printable characters."),
    marked("A plate reads ABC# or, since Mercosul, ABC#D#."),
    marked(
        "A chassis number has # letters and digits, none of them I, O or Q. Up to model year # it"
        " may have # to #."
    ),
    marked("The check digit of the chassis number is wrong."),
    marked("A RENAVAM has eleven digits."),
    marked("The check digit of the RENAVAM is wrong."),
    marked("A vehicle with this plate is on the market already."),
    marked("A vehicle with this chassis_number is on the market already."),
    marked("A vehicle with this renavam is on the market already."),
    marked(
        "A purchase holds the vehicle: only its colour may be changed, and its seller cannot"
        " withdraw it now."
    ),
    marked("The vehicle is sold and cannot be changed any more."),
    marked("The vehicle was withdrawn and cannot be changed any more."),
    marked("The vehicle is at version #."),
    marked("The customer has # open purchases: pay or cancel one."),
    marked("The order is closed already."),
    marked("The order is closed: it can no longer be cancelled."),
    marked("The purchase has failed: there is nothing to cancel."),
    marked("The purchase was cancelled, and its payment code with it."),
    marked("The payment code has expired."),
    marked("The payment code is mistyped."),
    marked("the cursor is not one we gave for this list and these filters"),
)
