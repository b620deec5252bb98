package holdings_test

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

// logged is a ledger with a transfer of each sort, a day after another.
func logged(t testing.TB) *testLedger {
	h := newTestLedger(t, strings.NewReplacer(`handle = "lacnic"`, "handle = \"south\"\nstatistics = \"ripencc\"", `parent = "lacnic"`, `parent = "south"`).Replace(chain))
	h.commit(h.ledger.Enrol(by("x"), holdings.Organisation{Handle: "isp", Parent: "afrinic", Kind: holdings.LIR, Name: "An ISP", Country: "ZA"}))
	h.commit(h.ledger.Enrol(by("x"), holdings.Organisation{Handle: "latam", Parent: "south", Kind: holdings.LIR, Name: "Über \"Sur\"", Country: "CL"}))
	h.give("afrinic", "41.0.0.0/8, 2c00::/12, AS36864-AS37887", "", time.Time{})
	h.give("isp", "41.0.0.0/16, 2c00:1::/32, AS36864-AS36870", "", time.Time{})
	days := 0
	on := func() holdings.By {
		days++
		return holdings.By{Who: principal.Principal{Name: "tester"}, Reason: "x", Time: noon.AddDate(0, 0, days)}
	}
	for _, c := range []struct {
		kind     holdings.TransferKind
		from, to string
		what     string
		state    holdings.TransferState
	}{
		{holdings.Market, "isp", "latam", "41.0.0.0/24, 41.0.2.0/25, 2c00:1::/48, AS36864, AS36866-AS36867", holdings.Finalised},
		{holdings.Merger, "isp", "other", "41.0.16.0/20", holdings.Finalised},
		{holdings.Handoff, "latam", "isp", "AS36864", holdings.Finalised},
		{holdings.Market, "isp", "other", "41.0.32.0/20", holdings.Accepted},
		{holdings.Market, "isp", "latam", "41.0.48.0/20", holdings.Cancelled},
		{holdings.Portability, "isp", "latam", "41.0.64.0/20, AS36865", holdings.Initiated},
		{holdings.Takeover, "latam", "isp", "41.0.0.0/24", holdings.Accepted},
		{holdings.Market, "isp", "", "41.0.80.0/20", holdings.Finalised},
	} {
		want := holdings.Transfer{Kind: c.kind, From: c.from, To: c.to, Resources: set(t, c.what)}
		if c.to == "" {
			want.Peer, want.ToRegistry, want.Elsewhere = "p", "arin", "x"
		}
		id := h.commit(h.ledger.Initiate(on(), want, holdings.Organisation{})).Transfers[0].ID
		if c.state != holdings.Initiated {
			h.commit(h.ledger.Accept(on(), id, ""))
		}
		switch c.state {
		case holdings.Finalised:
			h.commit(h.ledger.Finalise(on(), id, ""))
		case holdings.Cancelled:
			h.commit(h.ledger.Cancel(on(), id, ""))
		}
	}
	return h
}

func TestTransferLogGolden(t *testing.T) {
	h := logged(t)
	for name, c := range map[string]struct{ rir, format string }{
		"afrinic-4.0.json": {"AFRINIC", "4.0"}, "afrinic-4.1.json": {"afrinic", "4.1"}, "all-4.1.json": {"", "4.1"}, "ripe-4.1.json": {"south", "4.1"},
	} {
		log, err := h.ledger.TransferLog(c.rir, noon)
		if err != nil {
			t.Fatal(err)
		}
		text, err := log.JSON(c.format)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "transferlog", name)
		if *updateGolden {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || string(want) != string(text) {
			t.Errorf("%s is not what is written now (-update writes it anew): %v\n%s", path, err, text)
		}
		again, err := holdings.ParseTransferLog(text)
		if err != nil {
			t.Fatal(err)
		}
		log.Version = c.format
		if c.format == "4.0" {
			log.InProgress = []holdings.LogEntry{}
		}
		if !reflect.DeepEqual(again, log) {
			t.Errorf("%s is read as\n%+v\nand was\n%+v", name, again, log)
		}
	}
	log, err := h.ledger.TransferLog("", noon)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := h.reload().TransferLog("", noon); !reflect.DeepEqual(log, again) {
		t.Error("the same transfers give another log")
	}
	_, err = log.JSON("5.0")
	fails(t, err, fault.BadInput, "4.0 or 4.1")
	_, err = h.ledger.TransferLog("isp", noon)
	fails(t, err, fault.NotFound, "no RIR isp")
	if empty, err := newTestLedger(t, world).ledger.TransferLog("lacnic", noon); err != nil || !empty.Produced.Equal(noon) || empty.Producer != "LACNIC" {
		t.Errorf("without transfers it is %+v, %v", empty, err)
	}
}

// what registries wrote and write, shortened.
const (
	arins = `{"transfers":[{"ip4nets":{"original_set":[{"start_address":"162.208.048.000","end_address":"162.208.051.255"}],
"transfer_set":[{"start_address":"162.208.048.000","end_address":"162.208.048.255","cidrs":[{"prefix":"162.208.48.0","length":24}]}]},
"source_organization":{"name":"A LLC","country_code":"US"},"source_rir":"ARIN","recipient_rir":"RIPE NCC","transfer_date":"2026-04-14T18:59:21Z",
"source_registration_date":"2013-04-01T17:13:31-04:00","type":"RESOURCE_TRANSFER"},
{"ip6nets":{"transfer_set":[{"start_address":"2620:001F:8000:0000:0000:0000:0000:0000","end_address":"2620:001F:8000:FFFF:FFFF:FFFF:FFFF:FFFF"}]},
"source_rir":"ARIN","recipient_rir":"ARIN","type":"MERGER_ACQUISITION"}],
"version":{"UTC_offset":-4,"producer":"ARIN","production_date":"2026-04-15T03:59:11Z","records_interval":{"start_date":"2009-10-12T18:09:00Z","end_date":"2026-04-14T18:59:21Z"},
"remarks":["Copyright"],"stats_version":"4.0"}}`
	lacnics = `{"version":{"stats_version":"4.0","producer":"LACNIC","UTC_offset":-3,"production_date":"2021-01-02","records_interval":{"start_date":"2016-01-01","end_date":""}},
"transfers":[{"ipv4nets":{"transfer_set":[{"start":"200.000.010.000","end":"200.0.10.255"}]},"asns":{"transfer_set":[{"start":"64000","end":64001}],"original_set":[]},
"source_rir":"lacnic","recipient_rir":"ripencc","type":"resource_transfer","transfer_date":"2020-05-06 07:08:09"}]}`
	fives = `{"version":{"stats_version":"5.0","producer":"APNIC","UTC_offset":10,"production_date":"2026-05-01T00:00:00Z","records_interval":{"start_date":"2016-01-01T00:00:00Z","end_date":"2026-05-01T00:00:00Z"}},
"transfers":[
{"asns":{"transfer_set":[{"start":4608,"end":4608}]},"source_rir":"APNIC","recipient_rir":"RIPE NCC","type":"RESOURCE_TRANSFER","status":"sourceInitialized","status_date":"2026-04-01T00:00:00Z"},
{"asns":{"transfer_set":[{"start":4609,"end":4609}]},"source_rir":"APNIC","recipient_rir":"RIPE NCC","type":"RESOURCE_TRANSFER","status":"RECIPIENT_CANCELLED"},
{"asns":{"transfer_set":[{"start":4610,"end":4610}]},"source_rir":"APNIC","recipient_rir":"RIPE NCC","type":"RESOURCE_TRANSFER","status":"SOURCE_FINALIZED"}]}`
)

func TestParseTransferLog(t *testing.T) {
	arin, err := holdings.ParseTransferLog([]byte(arins))
	if err != nil {
		t.Fatal(err)
	}
	want := holdings.LogEntry{
		Resources: set(t, "162.208.48.0/24"), Original: set(t, "162.208.48.0/22"), Source: holdings.LogParty{Name: "A LLC", Country: "US"}, SourceRIR: "ARIN", RecipientRIR: "RIPE NCC",
		Type: holdings.LoggedTransfer, Transferred: time.Date(2026, 4, 14, 18, 59, 21, 0, time.UTC), Registered: time.Date(2013, 4, 1, 21, 13, 31, 0, time.UTC),
	}
	if len(arin.Transfers) != 2 || !reflect.DeepEqual(arin.Transfers[0], want) || arin.Transfers[1].Resources.String() != "2620:1f:8000::/48" || arin.UTCOffset != -4 || arin.Remarks[0] != "Copyright" {
		t.Errorf("ARIN's is %+v", arin)
	}
	lacnic, err := holdings.ParseTransferLog([]byte(lacnics))
	if err != nil {
		t.Fatal(err)
	}
	if len(lacnic.Transfers) != 2 || lacnic.Transfers[0].Resources.String() != "200.0.10.0/24" || lacnic.Transfers[1].Resources.String() != "AS64000-AS64001" ||
		lacnic.Transfers[0].RecipientRIR != "RIPE NCC" || lacnic.Transfers[1].Transferred.Hour() != 7 || !lacnic.Until.IsZero() {
		t.Errorf("LACNIC's is %+v", lacnic)
	}
	five, err := holdings.ParseTransferLog([]byte(fives))
	if err != nil {
		t.Fatal(err)
	}
	if len(five.Transfers) != 1 || five.Transfers[0].Resources.String() != "AS4610" || len(five.InProgress) != 1 || five.InProgress[0].Status != holdings.SourceInitialized {
		t.Errorf("that of 5.0 is %+v", five)
	}
	for says, change := range map[string][2]string{
		"can't be read":         {`{"version"`, `{version`},
		"version \"6.0\"":       {"5.0", "6.0"},
		"transfer 1 of the log": {"4608,\"end\":4608", "4608,\"end\":4607"},
		`"4608.5" to "4609" is`: {"4608,\"end\":4608", "4608.5,\"end\":4609"},
		"no resources":          {`"transfer_set":[{"start":4608,"end":4608}]`, `"transfer_set":[]`},
		"no type of transfer":   {"RESOURCE_TRANSFER", "GIFT"},
		"no date":               {"2026-05-01T00:00:00Z", "yesterday"},
	} {
		_, err := holdings.ParseTransferLog([]byte(strings.Replace(fives, change[0], change[1], 1)))
		fails(t, err, fault.BadInput, says)
	}
	for _, address := range []string{"162.208.048", "162.208.048.256", "162.208..000", "::ffff:1.2.3.4", "2001:db8::"} {
		_, err := holdings.ParseTransferLog([]byte(strings.Replace(arins, "162.208.048.000", address, 1)))
		fails(t, err, fault.BadInput, "no range of ipv4")
	}
}

func FuzzParseTransferLog(f *testing.F) {
	for _, text := range []string{arins, lacnics, fives} {
		f.Add([]byte(text))
	}
	golden, err := filepath.Glob(filepath.Join("testdata", "transferlog", "*.json"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range golden {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		log, err := holdings.ParseTransferLog(text)
		if err != nil {
			if fault.KindOf(err) != fault.BadInput {
				t.Fatalf("the error is of kind %v: %v", fault.KindOf(err), err)
			}
			return
		}
		written, err := log.JSON(holdings.TransferLog41)
		if err != nil {
			t.Fatal(err)
		}
		again, err := holdings.ParseTransferLog(written)
		if err != nil {
			t.Fatalf("what was written can't be read: %v\n%s", err, written)
		}
		if log.Version = holdings.TransferLog41; len(log.Remarks) == 0 {
			log.Remarks = nil
		}
		if !reflect.DeepEqual(log, again) {
			t.Fatalf("it was\n%+v\nand is\n%+v", log, again)
		}
	})
}
