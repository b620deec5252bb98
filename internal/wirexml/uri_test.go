package wirexml

import "testing"

// TestIsURI: no user stands before a host; an "@" in the path or the query names none.
func TestIsURI(t *testing.T) {
	for text, fine := range map[string]bool{
		"https://a.example/": true, "rsync://a.example/x@y/": true, "https://a.example?x=@": true, "a@b": true,
		"https://u:p@a.example/": false, "rsync://u@a.example/x/": false, "https://u@a.example": false, "https://a example/": false, "": false,
	} {
		if IsURI(text) != fine {
			t.Errorf("%q", text)
		}
	}
}
