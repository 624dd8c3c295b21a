"""Django's own tests of sessions, run over this engine: ``python3 -m djangotests DJANGO_SOURCE``.
"""
