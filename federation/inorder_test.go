package federation

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/publication"
)

// shelf is what is at a server: by URI, ROAs that say a VRP, and manifests that say a name and a hash a line.
type shelf map[string]string

func folderOf(uri string) string { return uri[:strings.LastIndexByte(uri, '/')] }

// sign writes the CRL and the manifest of a folder.
func (f shelf) sign(folder, crl string) {
	f[folder+"/ca.crl"] = crl
	var lines strings.Builder
	for uri, content := range f {
		if folderOf(uri) == folder && !strings.HasSuffix(uri, ".mft") {
			fmt.Fprintf(&lines, "%s %x\n", uri, sha256.Sum256([]byte(content)))
		}
	}
	f[folder+"/ca.mft"] = lines.String()
}

// read is the VRPs that a relying party finds, which wants all that a manifest lists.
func (f shelf) read(t *rapid.T, when string) map[string]bool {
	vrps := map[string]bool{}
	for uri, content := range f {
		if !strings.HasSuffix(uri, ".mft") {
			continue
		}
		for line := range strings.Lines(content) {
			name, hash, _ := strings.Cut(strings.TrimSpace(line), " ")
			if there, ok := f[name]; !ok || fmt.Sprintf("%x", sha256.Sum256([]byte(there))) != hash {
				t.Fatalf("%s %s lists %s, which is not there as it is listed (there: %v)", when, uri, name, ok)
			}
			if strings.HasSuffix(name, ".roa") {
				vrp, _, _ := strings.Cut(f[name], " ")
				vrps[vrp] = true
			}
		}
	}
	return vrps
}

// TestEachQueryIsSafe: whatever a server has and is to have, after each query every manifest lists what is there, no VRP is
// missing that was there and is to stay, and at the end all is as it is to be.
func TestEachQueryIsSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		was, is := shelf{}, shelf{}
		n := 0
		roa := func(f shelf, folder, vrp, filling string) {
			n++
			f[fmt.Sprintf("%s/%d.roa", folder, n)] = vrp + " " + filling
		}
		count := rapid.IntRange(1, 4).Draw(t, "folders")
		for i := range count {
			folder := fmt.Sprintf("rsync://elsewhere.example/%c", 'a'+i)
			born, dies := rapid.IntRange(0, 9).Draw(t, "born") < 2, rapid.IntRange(0, 9).Draw(t, "dies") < 2
			for j := range rapid.IntRange(0, 5).Draw(t, "roas") {
				filling := strings.Repeat("x", rapid.IntRange(0, 600).Draw(t, "size"))
				vrp := fmt.Sprintf("v%d.%d", i, j)
				fate := rapid.IntRange(0, 4).Draw(t, "fate")
				switch {
				case born || fate == 0:
					roa(is, folder, vrp, filling)
				case dies || fate == 1:
					roa(was, folder, vrp, filling)
				case fate == 2: // made anew
					roa(was, folder, vrp, filling)
					roa(is, folder, vrp, filling)
				case fate == 3: // it goes to a folder that only gains
					roa(was, folder, vrp, filling)
					roa(is, fmt.Sprintf("rsync://elsewhere.example/%s", rapid.SampledFrom([]string{"0", "z"}).Draw(t, "to")), vrp, filling)
				default: // it stays
					roa(was, folder, vrp, filling)
					name := fmt.Sprintf("%s/%d.roa", folder, n)
					is[name] = was[name]
				}
			}
			if !born {
				was[folder+"/child.cer"] = "a certificate"
				was.sign(folder, "a CRL")
			}
			if !dies {
				is[folder+"/child.cer"] = rapid.SampledFrom([]string{"a certificate", "a larger certificate"}).Draw(t, "certificate")
				is.sign(folder, "a newer CRL")
			}
		}
		for _, folder := range []string{"rsync://elsewhere.example/0", "rsync://elsewhere.example/z"} {
			if rapid.Bool().Draw(t, "there") {
				was.sign(folder, "a CRL")
			}
			is.sign(folder, "a newer CRL")
		}
		for uri := range is { // of folders that are gone nothing stays
			if _, signed := is[folderOf(uri)+"/ca.mft"]; !signed {
				delete(is, uri)
			}
		}
		stay := was.read(t, "at first")
		after := is.read(t, "in the end")
		maps.DeleteFunc(stay, func(vrp string, _ bool) bool { return !after[vrp] })

		var fresh, replaced, withdrawn []publication.PDU
		for uri, content := range is {
			old, there := was[uri]
			hash := sha256.Sum256([]byte(old))
			switch {
			case !there:
				fresh = append(fresh, publication.PDU{URI: uri, Object: []byte(content)})
			case old != content:
				replaced = append(replaced, publication.PDU{URI: uri, Object: []byte(content), Hash: &hash})
			}
		}
		for uri, content := range was {
			if _, there := is[uri]; !there {
				hash := sha256.Sum256([]byte(content))
				withdrawn = append(withdrawn, publication.PDU{URI: uri, Hash: &hash, Withdraw: true})
			}
		}
		most := 0 // what is replaced in a folder fits, and little more
		together := map[string]int{}
		for _, pdu := range replaced {
			together[folderOf(pdu.URI)] += textSize(pdu)
			most = max(most, together[folderOf(pdu.URI)])
		}
		for _, pdu := range fresh {
			most = max(most, textSize(pdu))
		}
		most += rapid.IntRange(250, 1000).Draw(t, "room")
		now := maps.Clone(was)
		for i, q := range inOrder(fresh, replaced, withdrawn, most) {
			size := 0
			for _, pdu := range q.PDUs {
				if size += textSize(pdu); pdu.Withdraw {
					delete(now, pdu.URI)
				} else {
					now[pdu.URI] = string(pdu.Object)
				}
			}
			if size > most {
				t.Errorf("query %d has %d octets", i, size)
			}
			found := now.read(t, fmt.Sprintf("after query %d", i))
			for vrp := range stay {
				if !found[vrp] {
					t.Fatalf("after query %d %s is missing", i, vrp)
				}
			}
		}
		if !maps.Equal(now, is) {
			t.Fatalf("in the end there is\n%v\nand should be\n%v", now, is)
		}
	})
}
