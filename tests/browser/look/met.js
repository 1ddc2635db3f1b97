// Where Tab has stopped since "reachable" was asked: [its mark, whether it could be seen there], in order.
() => window.stopsMet
