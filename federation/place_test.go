package federation

import "testing"

func TestSameServer(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"rsync://a.example/x/", "rsync://A.example:873/", true},
		{"rsync://a.example./x/", "rsync://a.example/", true},
		{"rsync://a.example:8873/x/", "rsync://a.example/", false},
		{"rsync://a.example/", "rsync://b.example/", false},
		{"::", "rsync://b.example/", false},
	} {
		if sameServer(c.a, c.b) != c.same {
			t.Errorf("%s and %s", c.a, c.b)
		}
	}
}
