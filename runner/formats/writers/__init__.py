"""Writers of formats that other programs read: a Sheet in, bytes out. None of them opens a file.

A symbol name may hold anything: what would break a format (control characters, its separators, bytes that are no text) is
written visibly, as \\xNN. Every writer has the same signature:

    write(sheet: Sheet, stream: BinaryIO) -> None
"""
