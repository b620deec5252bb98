package publication

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/wirexml/wiretest"
)

// aQuery draws any query.
var aQuery = rapid.Custom(func(rt *rapid.T) *Query {
	if rapid.Bool().Draw(rt, "list") {
		return &Query{List: true}
	}
	return &Query{PDUs: some(rapid.SliceOfN(aPDU, 0, 8).Draw(rt, "PDUs"))}
})

var aPDU = rapid.Custom(func(rt *rapid.T) PDU {
	p := PDU{Tag: aTag.Draw(rt, "tag"), URI: aURI.Draw(rt, "uri"), Withdraw: rapid.Bool().Draw(rt, "withdraw")}
	if p.Withdraw || rapid.Bool().Draw(rt, "replaces") {
		hash := aHash.Draw(rt, "hash")
		p.Hash = &hash
	}
	if !p.Withdraw {
		p.Object = rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(rt, "object")
	}
	return p
})

var (
	aTag  = rapid.StringMatching(`([a-zA-Z0-9"'<>&é]( [a-z])?){0,5}`)
	aURI  = rapid.StringMatching(`rsync://[a-z]{1,5}/repo/[a-zA-Z0-9'&=~@/.]{0,10}`)
	aHash = rapid.Custom(func(rt *rapid.T) [32]byte {
		return sha256.Sum256([]byte{rapid.Byte().Draw(rt, "seed")})
	})
)

// aReply draws any reply.
var aReply = rapid.Custom(func(rt *rapid.T) *Reply {
	switch rapid.IntRange(0, 2).Draw(rt, "kind") {
	case 0:
		return &Reply{Success: true}
	case 1:
		return &Reply{IsList: true, List: some(rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) Listed {
			return Listed{aURI.Draw(rt, "uri"), aHash.Draw(rt, "hash")}
		}), 0, 8).Draw(rt, "list"))}
	}
	return &Reply{Errors: rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) ReportError {
		e := ReportError{
			Code: rapid.SampledFrom(codes).Draw(rt, "code"),
			Tag:  aTag.Draw(rt, "tag"),
			Text: rapid.StringMatching(`([a-z"'é]( [a-z])?){0,5}`).Draw(rt, "text"),
		}
		if rapid.Bool().Draw(rt, "says what failed") {
			failed := aPDU.Draw(rt, "failed")
			e.Failed = &failed
		}
		return e
	}), 1, 4).Draw(rt, "errors")}
})

// some is nil for an empty slice, as a parser leaves one that it never appended to.
func some[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

func TestQueryComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := aQuery.Draw(rt, "query")
		got, err := ParseQuery(q.XML())
		if err != nil || !reflect.DeepEqual(q, got) {
			rt.Fatalf("%s\ncame back as %+v, %v", q.XML(), got, err)
		}
	})
}

func TestReplyComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		reply := aReply.Draw(rt, "reply")
		got, err := ParseReply(reply.XML())
		if err != nil || !reflect.DeepEqual(reply, got) {
			rt.Fatalf("%s\ncame back as %+v, %v", reply.XML(), got, err)
		}
	})
}

// TestOursIsValid holds what is written against the schema of version 4, and what version 3 had too against the schema
// in ../shared.
func TestOursIsValid(t *testing.T) {
	four, three := make(map[string][]byte), make(map[string][]byte)
	for i := range 40 {
		query, reply := aQuery.Example(i), aReply.Example(i)
		four[fmt.Sprint("query", i)], four[fmt.Sprint("reply", i)] = query.XML(), reply.XML()
		three[fmt.Sprint("query", i)] = bytes.Replace(query.XML(), []byte(`version="4"`), []byte(`version="3"`), 1)
		if reply.IsList {
			three[fmt.Sprint("reply", i)] = bytes.Replace(reply.XML(), []byte(`version="4"`), []byte(`version="3"`), 1)
		}
	}
	for name, complaint := range wiretest.Complaints(t, "../../testdata/schemas/publication-4.rnc", four) {
		t.Errorf("%s\nis not valid: %s", four[name], complaint)
	}
	for name, complaint := range wiretest.Complaints(t, wiretest.Path(t, "schemas/publication.rng"), three) {
		t.Errorf("%s\nis not valid as version 3: %s", three[name], complaint)
	}
}

// TestVectors reads what rpki-rs and RIPE NCC made. The samples of RIPE NCC are of version 3, and are refused for it; called
// version 4, they are judged by what is in them.
func TestVectors(t *testing.T) {
	const old = "this is version 4"
	for name, says := range map[string]string{
		"rpki-rs/ca/rfc8181/error-reply.xml":            "reply",
		"rpki-rs/ca/rfc8181/list-reply-empty-short.xml": "reply",
		"rpki-rs/ca/rfc8181/list-reply-empty.xml":       "reply",
		"rpki-rs/ca/rfc8181/list-reply-single.xml":      "reply",
		"rpki-rs/ca/rfc8181/list-reply.xml":             "reply",
		"rpki-rs/ca/rfc8181/success-reply.xml":          "reply",
		"rpki-rs/ca/rfc8181/list.xml":                   "query",
		"rpki-rs/ca/rfc8181/publish-empty-short.xml":    "query",
		"rpki-rs/ca/rfc8181/publish-empty.xml":          "query",
		"rpki-rs/ca/rfc8181/publish-multi.xml":          "query",
		"rpki-rs/ca/rfc8181/publish-single.xml":         "query",
		"publication/ripe/list.xml":                     "query",
		"publication/ripe/publishWithTag.xml":           "query",
		"publication/ripe/withdrawWithTag.xml":          "query",
		"publication/ripe/listResponse.xml":             "reply",
		"publication/ripe/publish.xml":                  "it lacks the attribute tag",
		"publication/ripe/publish_nonexistent_uri.xml":  "it lacks the attribute tag",
		"publication/ripe/withdraw.xml":                 "it lacks the attribute tag",
		"publication/ripe/publishBrokenBase64.xml":      "it lacks the attribute tag",
		"publication/ripe/dubiousListRequest.xml":       "it lacks the attribute tag",
		"publication/ripe/invalidRequest.xml":           "<foo> where a PDU is expected",
		"publication/ripe/publishResponse.xml":          "<publish> where success, list or report_error",
		"publication/ripe/errorResponse.xml":            "text in <report_error>",
	} {
		message := wiretest.Vector(t, name)
		if strings.HasPrefix(name, "publication/") {
			_, errQ := ParseQuery(message)
			_, errR := ParseReply(message)
			if errQ == nil || errR == nil || !strings.Contains(errQ.Error()+errR.Error(), old) {
				t.Errorf("%s: of version 3, and not refused for it: %v, %v", name, errQ, errR)
			}
			message = bytes.Replace(message, []byte(`version="3"`), []byte(`version="4"`), 1)
		}
		query, errQ := ParseQuery(message)
		reply, errR := ParseReply(message)
		switch says {
		case "query":
			if errQ != nil || errR == nil {
				t.Errorf("%s: as a query: %v; as a reply: %+v", name, errQ, reply)
			}
		case "reply":
			if errR != nil || errQ == nil {
				t.Errorf("%s: as a reply: %v; as a query: %+v", name, errR, query)
			}
		default:
			if errQ == nil || errR == nil || !strings.Contains(errQ.Error()+errR.Error(), says) {
				t.Errorf("%s: refused with %v and %v, which do not say %q", name, errQ, errR, says)
			}
		}
	}
}

// TestVectorsInOneFile takes apart the messages of rpki.net's samples, which are all of version 3, and reads them as version 4.
func TestVectorsInOneFile(t *testing.T) {
	all := wiretest.Vector(t, "publication/samples/publication-protocol-samples.xml")
	messages := bytes.SplitAfter(all, []byte("</msg>"))
	want := []string{"", "", "tag", "<publish> where", "error_code", "error_code", "tag", "<withdraw> where"}
	if len(messages) != len(want)+1 {
		t.Fatalf("%d messages", len(messages))
	}
	for i, says := range want {
		_, message, _ := bytes.Cut(messages[i], []byte("<msg"))
		message = append([]byte("<msg"), bytes.Replace(message, []byte(`"3"`), []byte(`"4"`), 1)...)
		_, err := ParseQuery(message)
		if bytes.Contains(message, []byte("reply")) {
			_, err = ParseReply(message)
		}
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("message %d: %v, which does not say %q", i, err, says)
		}
	}
}

func TestErrorReply(t *testing.T) {
	reply, err := ParseReply(wiretest.Vector(t, "rpki-rs/ca/rfc8181/error-reply.xml"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := reply.Errors[0], reply.Errors[1]
	if first.Code != ObjectAlreadyPresent || first.Failed == nil || first.Failed.URI != "rsync://host/path/cms-ta.cer" ||
		first.Failed.Tag != first.Tag || fmt.Sprintf("%x", sha256.Sum256(first.Failed.Object)) != first.Tag ||
		second.Code != OtherError || second.Text != "Found some other issue." || second.Failed != nil {
		t.Errorf("read as %+v", reply)
	}
}
