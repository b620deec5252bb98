package object_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/object"
	"cadastre/internal/validate"
)

// TestRequest: what is asked for is read back, by the parser that the parent uses.
func TestRequest(t *testing.T) {
	for _, algorithm := range []object.Algorithm{object.RSA, object.P256} {
		m := newMaker(algorithm, "child", "", "")
		rapid.Check(t, func(t *rapid.T) {
			name := rapid.StringMatching(`[a-zA-Z0-9_-]{1,40}`)
			request := object.CertificateRequest{Key: m.public, Repository: base + name.Draw(t, "folder") + "/"}
			request.Manifest = request.Repository + name.Draw(t, "manifest") + ".mft"
			if rapid.Bool().Draw(t, "RRDP") {
				request.Notify = notify
			}
			der, err := request.Sign(m.key)
			if err != nil {
				t.Fatal(err)
			}
			got, findings := validate.ParseRequest(der, validate.P256)
			if got == nil || len(findings) > 0 {
				t.Fatal(findings)
			}
			if got.Repository != request.Repository || got.Manifest != request.Manifest || got.Notify != request.Notify ||
				!bytes.Equal(got.KeyInfo, m.public.Info) || object.KeyIdentifier(got.Key.ID()) != m.public.ID {
				t.Fatalf("%+v is read as %+v", request, got)
			}
		})
	}
}

// TestRequestProvesPossession: a request for another's key is not taken.
func TestRequestProvesPossession(t *testing.T) {
	m, other := newMaker(object.P256, "child", "", ""), newMaker(object.P256, "other", "", "")
	request := object.CertificateRequest{Key: other.public, Repository: m.place, Manifest: m.manifest()}
	if got, _ := validate.ParseRequest(must(request.Sign(m.key)), validate.P256); got != nil {
		t.Error("a key was claimed that is another's")
	}
}
