"""The pages: server-rendered, phone first, in Chinese and English, without JavaScript or any outside host.

``messages`` holds every word in both languages and ``language`` picks one. ``overview`` gathers what the
page shows, ``shown`` turns numbers into text, ``pages`` has the routes.
"""
