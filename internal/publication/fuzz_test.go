package publication

import (
	"reflect"
	"testing"
)

// FuzzQuery checks that what is taken is written again as a message that means the same.
func FuzzQuery(f *testing.F) {
	for _, c := range judged {
		if len(c.xml) < 10_000 {
			f.Add([]byte(c.xml))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		q, err := ParseQuery(data)
		if err != nil {
			return
		}
		again, err := ParseQuery(q.XML())
		if err != nil || !reflect.DeepEqual(q, again) {
			t.Fatalf("%s\nis read as %+v, written as\n%s\nand read again as %+v, %v", data, q, q.XML(), again, err)
		}
		for _, p := range q.PDUs {
			if q.List || p.Withdraw && (p.Hash == nil || p.Object != nil) || len(p.URI) > maxURI || len(p.Tag) > maxTag || len(p.Object) > len(data) {
				t.Fatalf("%+v was taken", p)
			}
		}
	})
}

// FuzzReply checks that what is taken is written again as a message that means the same; texts for people may differ.
func FuzzReply(f *testing.F) {
	for _, c := range judged {
		if len(c.xml) < 10_000 {
			f.Add([]byte(c.xml))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		reply, err := ParseReply(data)
		if err != nil {
			return
		}
		again, err := ParseReply(reply.XML())
		if err != nil {
			t.Fatalf("%s\nis written as\n%s\nand not read: %v", data, reply.XML(), err)
		}
		for _, r := range []*Reply{reply, again} {
			for i := range r.Errors {
				r.Errors[i].Text = ""
			}
		}
		if !reflect.DeepEqual(reply, again) {
			t.Fatalf("%s\nis read as %+v and again as %+v", data, reply, again)
		}
		kinds := 0
		for _, is := range []bool{reply.Success, reply.IsList, len(reply.Errors) > 0} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			t.Fatalf("%+v is not one of three", reply)
		}
	})
}
