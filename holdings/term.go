package holdings

import "cadastre/internal/term"

// Term is a length of time in a policy.
type Term = term.Term

// Days is a Term of so many days.
func Days(n int) Term { return term.Days(n) }

// ParseTerm reads a Term. It fails with BadInput.
func ParseTerm(text string) (Term, error) { return term.Parse(text) }
