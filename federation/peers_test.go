package federation

import (
	"errors"
	"math/big"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/store"
)

func newStore(t *testing.T) store.Store {
	t.Helper()
	st, err := store.Open(filepath.Join(t.TempDir(), "store"), store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// TestChange: what a transaction changed is in memory when it has committed, and not before; and it is what a later start reads.
func TestChange(t *testing.T) {
	st := newStore(t)
	load := func() (p *Peers) {
		t.Helper()
		if err := st.View(func(r store.Reader) (err error) {
			p, err = Load(r)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p, ledger := load(), (*holdings.Ledger)(nil)
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	all, err := inr.Parse("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	child := &Child{Holder: "isp", Handle: "isp", TrustAnchor: []byte{1}, Added: at}
	key := &ChildKey{Authority: issued.Parse("isp#above.default!aa"), KeyID: object.KeyIdentifier{1}, KeyInfo: []byte{2}, Granted: all, Asked: at}
	parent := &Parent{Name: "above", Holder: "isp", Classes: map[string]*Class{"above.default": {
		Name: "default", Entitled: all, Keys: map[issued.Name]*Received{issued.Parse("isp#above.default"): {URI: "rsync://x/y.cer", Serial: big.NewInt(7), Resources: all, Expires: at}},
	}}}
	remote := &Remote{Name: "@1", Holder: "isp", Base: "rsync://elsewhere/isp/", Current: true}
	put := func(tx *Tx) error {
		return errors.Join(tx.PutChild(child), tx.PutKey(key), tx.PutParent(parent), tx.PutRemote(remote), tx.SetKnows(PeerName("child", "isp"), true))
	}
	if _, err := p.Change(st, ledger, func(tx *Tx) error { return errors.Join(put(tx), errors.New("no")) }); err == nil {
		t.Fatal("a change that fails is made")
	}
	if !reflect.DeepEqual(p.Children(), load().Children()) || len(p.Children())+len(p.Keys("isp"))+len(p.Parents())+len(p.Remotes()) > 0 {
		t.Error("a change that failed has left something")
	}
	done := false
	touched, err := p.Change(st, ledger, func(tx *Tx) error {
		tx.OnCommit(func() { done = p.Child("isp") == child })
		if err := put(tx); err != nil {
			return err
		}
		if p.Child("isp") != nil {
			t.Error("a child is known before its transaction has committed")
		}
		return nil
	})
	if err != nil || !done || !reflect.DeepEqual(touched, []string{"isp", "isp", "isp"}) {
		t.Errorf("done %v, touched %v, %v", done, touched, err)
	}
	for _, p := range []*Peers{p, load()} {
		if p.ChildByHandle("isp") == nil || p.Key(key.Authority) == nil || len(p.Keys("isp")) != 1 || p.KeyOwner(key.KeyID) != key.Authority {
			t.Error("the child or its key is not known")
		}
		if q := p.ParentOf("above.default"); q == nil || p.Received(issued.Parse("isp#above.default")) == nil || p.Received(issued.Parse("isp#above.default~1")) != nil || !p.HasSources() {
			t.Error("what the parent certified is not known")
		}
		if p.RemoteOf("isp") == nil || p.RemoteOf("other") != nil || !p.Knows("child/isp") {
			t.Error("the remote repository, or who knows us, is not known")
		}
	}
	if _, err := p.Change(st, ledger, func(tx *Tx) error {
		return errors.Join(tx.DeleteChild(child), tx.DeleteParent("above"), tx.ForgetKnows())
	}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Peers{p, load()} {
		if p.Child("isp") != nil || p.Key(key.Authority) != nil || !p.KeyOwner(key.KeyID).IsZero() || p.ParentOf("above.default") != nil || p.HasSources() || p.Knows("child/isp") {
			t.Error("something is left of what was deleted")
		}
	}
}

// TestClasses: a source that a parent has no more as a class is nobody's.
func TestClasses(t *testing.T) {
	p := &Peers{parents: map[string]*Parent{}, sources: map[string]string{}}
	p.setParent(&Parent{Name: "above", Classes: map[string]*Class{"above.a": {}, "above.b": {}}})
	p.setParent(&Parent{Name: "above", Classes: map[string]*Class{"above.b": {}}})
	if p.ParentOf("above.a") != nil || p.ParentOf("above.b") == nil {
		t.Error("the classes are not those of the last record")
	}
}
