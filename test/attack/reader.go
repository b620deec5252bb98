package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	librpki "github.com/cloudflare/cfrpki/validator/lib"
)

// reader is a relying party that follows one repository over RRDP (RFC 8182) delta by delta, reads ROAs with a decoder of
// others, and notes when it saw each VRP first.
type reader struct {
	notification string
	client       *http.Client
	took         func(d time.Duration, err error) // of each fetch that is short

	session string

	mu       sync.Mutex
	serial   uint64
	objects  map[string][32]byte
	firstSaw map[string]time.Time // by VRP
}

func newReader(h *installation, took func(time.Duration, error)) *reader {
	return &reader{
		notification: h.url("rrdp/north/notification.xml"), client: &http.Client{Timeout: 20 * time.Second, Transport: h.tls.Client.Transport},
		took: took, objects: map[string][32]byte{}, firstSaw: map[string]time.Time{},
	}
}

// rrdpFile is any of the three files of RRDP.
type rrdpFile struct {
	Session  string `xml:"session_id,attr"`
	Serial   uint64 `xml:"serial,attr"`
	Snapshot struct {
		URI  string `xml:"uri,attr"`
		Hash string `xml:"hash,attr"`
	} `xml:"snapshot"`
	Deltas []struct {
		Serial uint64 `xml:"serial,attr"`
		URI    string `xml:"uri,attr"`
		Hash   string `xml:"hash,attr"`
	} `xml:"delta"`
	Publish []struct {
		URI  string `xml:"uri,attr"`
		Hash string `xml:"hash,attr"`
		Data string `xml:",chardata"`
	} `xml:"publish"`
	Withdraw []struct {
		URI  string `xml:"uri,attr"`
		Hash string `xml:"hash,attr"`
	} `xml:"withdraw"`
}

// look fetches the notification, and what is new since the last look. One goroutine looks.
func (r *reader) look(ctx context.Context) error {
	var notice rrdpFile
	if err := r.fetch(ctx, r.notification, "", true, &notice); err != nil {
		return err
	}
	if r.session != "" && notice.Session != r.session {
		return fmt.Errorf("the session changed from %s to %s", r.session, notice.Session)
	}
	if notice.Serial < r.serial {
		return fmt.Errorf("the serial went from %d to %d", r.serial, notice.Serial)
	}
	deltas := notice.Deltas
	slices.SortFunc(deltas, func(a, b struct {
		Serial uint64 `xml:"serial,attr"`
		URI    string `xml:"uri,attr"`
		Hash   string `xml:"hash,attr"`
	}) int {
		return int(a.Serial) - int(b.Serial)
	})
	if r.session == "" || len(deltas) == 0 && notice.Serial > r.serial || len(deltas) > 0 && deltas[0].Serial > r.serial+1 {
		var whole rrdpFile
		if err := r.fetch(ctx, notice.Snapshot.URI, notice.Snapshot.Hash, false, &whole); err != nil {
			return err
		}
		r.mu.Lock()
		clear(r.objects)
		r.mu.Unlock()
		r.session = notice.Session
		return r.take(&whole, notice.Serial)
	}
	for _, d := range deltas {
		if d.Serial <= r.serial {
			continue
		}
		if d.Serial != r.serial+1 {
			return fmt.Errorf("the delta after %d is %d", r.serial, d.Serial)
		}
		var change rrdpFile
		if err := r.fetch(ctx, d.URI, d.Hash, false, &change); err != nil {
			return err
		}
		if err := r.take(&change, d.Serial); err != nil {
			return err
		}
	}
	return nil
}

// fetch gets a file, checks its hash where there is one, and reads it.
func (r *reader) fetch(ctx context.Context, url, hash string, timed bool, into *rrdpFile) error {
	began := time.Now()
	a, err := get(ctx, r.client, url)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("%s is answered with %d", url, a.status)
	}
	if timed {
		r.took(time.Since(began), err)
	}
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(a.body); hash != "" && !strings.EqualFold(hash, hex.EncodeToString(sum[:])) {
		return fmt.Errorf("%s has another hash than was said", url)
	}
	return xml.Unmarshal(a.body, into)
}

// take applies a delta, or a snapshot to nothing.
func (r *reader) take(f *rrdpFile, serial uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range f.Withdraw {
		if was, there := r.objects[w.URI]; !there || hex.EncodeToString(was[:]) != strings.ToLower(w.Hash) {
			return fmt.Errorf("what is withdrawn at %s was not there", w.URI)
		}
		delete(r.objects, w.URI)
	}
	for _, p := range f.Publish {
		octets, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(p.Data), ""))
		if err != nil {
			return fmt.Errorf("%s: %w", p.URI, err)
		}
		was, there := r.objects[p.URI]
		if there != (p.Hash != "") || there && hex.EncodeToString(was[:]) != strings.ToLower(p.Hash) {
			return fmt.Errorf("what is published at %s does not replace what was there", p.URI)
		}
		r.objects[p.URI] = sha256.Sum256(octets)
		if strings.HasSuffix(p.URI, ".roa") {
			r.note(octets)
		}
	}
	r.serial = serial
	return nil
}

// decoder is lenient where cfrpki's strictness is wrong: it wants the signature algorithm of the CMS to be that of the EE
// certificate, where RFC 7935, section 2 has rsaEncryption in the former.
var decoder = &librpki.DecoderConfig{ValidateStrict: false}

// note notes the VRPs of a ROA. What is none guests may publish as well, and the decoder may panic on it: validators do not mind.
func (r *reader) note(octets []byte) {
	defer func() { _ = recover() }()
	roa, err := decoder.DecodeROA(octets)
	if err != nil {
		return
	}
	for _, e := range roa.Entries {
		addr, ok := netip.AddrFromSlice(e.IPNet.IP)
		if !ok {
			continue
		}
		bits, _ := e.IPNet.Mask.Size()
		vrp := fmt.Sprintf("%s,%d,AS%d", netip.PrefixFrom(addr, bits), e.MaxLength, roa.ASN)
		if r.firstSaw[vrp].IsZero() {
			r.firstSaw[vrp] = time.Now()
		}
	}
}

// saw is when a VRP was seen first, zero where it was not.
func (r *reader) saw(vrp string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.firstSaw[vrp]
}

// at is the serial that it has seen.
func (r *reader) at() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.serial
}
