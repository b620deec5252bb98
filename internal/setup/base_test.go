package setup

import (
	"strings"
	"testing"
)

// TestBase: a repository_response names a plain place, or is refused.
func TestBase(t *testing.T) {
	for base, good := range map[string]bool{
		"rsync://h/m/": true, "rsync://h/m": true, "rsync://rpki.sub.apnic.net:873/repository/A91872ED0000/": true, "rsync://192.0.2.1/m/a_b/c-d/": true,
		"rsync://[2001:db8::1]:8873/m/": true,
		"rsync://evil.example/../x/":    false, "rsync://evil.example/m/../../x/": false, "rsync://evil.example/m/./": false, "rsync://evil.example/m//x/": false,
		"rsync://u:p@evil.example/m/": false, "rsync://u@evil.example/m/": false, "rsync://evil.example/": false, "rsync://evil.example": false,
		"rsync:///m/": false, "rsync://evil.example:0/m/": false, "rsync://evil.example:99999/m/": false, "rsync://evil.example:/m/": false,
		"rsync://evil.example/m/%2e%2e/x/": false, "rsync://evil.example/m/?x/": false, "rsync://evil.example/m/#x/": false, "rsync://evil.example/.m/": false,
		"rsync://evil.example/m/" + strings.Repeat("x/", 40): false, "https://evil.example/m/": false, "rsync://-evil/m/": false, "rsync://evil.example/-x/": true,
	} {
		text := strings.Replace(repository, "rsync://h/m/", base, 1)
		if base == "rsync://h/m/" {
			text = repository
		}
		r, err := ParseRepositoryResponse([]byte(text))
		if (err == nil) != good {
			t.Errorf("%s: %v", base, err)
		}
		if err == nil && r.SIABase != strings.TrimSuffix(base, "/")+"/" {
			t.Errorf("%s is read as %s", base, r.SIABase)
		}
	}
}

func TestSamePlace(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"rsync://h/m/", "rsync://h/m/", true}, {"rsync://h/m/", "rsync://H:873/m/x/", true}, {"rsync://h/m/x/", "rsync://h/m/", true}, {"rsync://h./m/", "rsync://h/", true},
		{"rsync://h/m/", "rsync://h/mm/", false}, {"rsync://h/m/", "rsync://i/m/", false}, {"rsync://h:8873/m/", "rsync://h/m/", false},
	} {
		if got := SamePlace(c.a, c.b); got != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}
