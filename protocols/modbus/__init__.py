"""From a meter's manual to numbers.

A register map (``registermap``, one TOML file per model in ``maps/``, read and checked by ``maps``) says where a
model keeps its values and what their words mean. ``planner`` joins the points of a plan into requests;
``decode`` turns the answers into numbers, over blocks of times x registers.
"""
