package setup

import (
	"reflect"
	"strings"
	"testing"

	"cadastre/internal/fault"
	"cadastre/internal/wirexml/wiretest"
)

const (
	xmlns      = `xmlns="` + namespace + `"`
	child      = `<child_request ` + xmlns + ` version="1" child_handle="a"><child_bpki_ta>AAAA</child_bpki_ta></child_request>`
	parent     = `<parent_response ` + xmlns + ` version="1" service_uri="https://h/" child_handle="a" parent_handle="b"><parent_bpki_ta>AAAA</parent_bpki_ta></parent_response>`
	publisher  = `<publisher_request ` + xmlns + ` version="1" publisher_handle="a"><publisher_bpki_ta>AAAA</publisher_bpki_ta></publisher_request>`
	repository = `<repository_response ` + xmlns + ` version="1" service_uri="https://h/" publisher_handle="a" sia_base="rsync://h/m/"><repository_bpki_ta>AAAA</repository_bpki_ta></repository_response>`
	referral   = `<referral referrer="c">AAAA</referral>`
)

// with replaces the first of one text by another.
func with(message, what, by string) string { return strings.Replace(message, what, by, 1) }

// judged are messages, with what an error about them says and whether the schema has them.
var judged = map[string]struct {
	xml, says string
	inSchema  bool
}{
	"child":                     {child, "", true},
	"parent":                    {parent, "", true},
	"publisher":                 {publisher, "", true},
	"repository":                {repository, "", true},
	"tag":                       {with(child, "version", `tag=" a  b" version`), "", true},
	"all of a parent":           {with(parent, "</parent_response", "<offer/>"+referral+with(referral, "referrer", `contact_uri="mailto:a@h" referrer`)+"</parent_response"), "", true},
	"referrals":                 {with(publisher, "</publisher_request", referral+referral+"</publisher_request"), "", true},
	"notification":              {with(repository, "version", `rrdp_notification_uri="https://h/n.xml" version`), "", true},
	"no slash behind a base":    {with(repository, "h/m/", "h/m"), "", true},
	"name space without slash":  {with(child, namespace, strings.TrimSuffix(namespace, "/")), "", false},
	"no name space":             {with(child, xmlns, ""), "", false},
	"rpki.net's valid_until":    {with(parent, "version", `valid_until="2012-07-25T18:45:58Z" version`), "", false},
	"error":                     {`<error ` + xmlns + ` version="1" reason="refused"><a/></error>`, `error: "refused"`, true},
	"authorization":             {`<authorization ` + xmlns + ` version="1" authorized_sia_base="rsync://h/m/">AAAA</authorization>`, "none of the messages", true},
	"other name space":          {with(child, namespace, "urn:other"), "namespace", false},
	"version 2":                 {with(child, `"1"`, `"2"`), "only version 1", false},
	"no version":                {with(child, `version="1"`, ""), "lacks the attribute version", false},
	"no handle":                 {with(child, `child_handle="a"`, ""), "lacks the attribute child_handle", false},
	"empty handle":              {with(child, `"a"`, `""`), "no handle", true}, // nobody
	"handle with a dot":         {with(parent, `"b"`, `"b.c"`), "no handle", false},
	"long handle":               {with(publisher, `"a"`, `"`+strings.Repeat("a", 256)+`"`), "longer than 255", false},
	"unknown attribute":         {with(child, "version", `id="" version`), `attribute "id"`, false},
	"valid_until of a child":    {with(child, "version", `valid_until="" version`), `attribute "valid_until"`, false},
	"long tag":                  {with(child, "version", `tag="`+strings.Repeat("a", 1025)+`" version`), "longer than 1024", false},
	"no trust anchor":           {with(child, "<child_bpki_ta>AAAA</child_bpki_ta>", ""), "no <child_bpki_ta>", false},
	"empty trust anchor":        {with(child, "AAAA", ""), "is empty", true},
	"two trust anchors":         {with(child, "</child_request", "<child_bpki_ta>AAAA</child_bpki_ta></child_request"), "<child_bpki_ta> in <child_request>", false},
	"trust anchor of another":   {strings.ReplaceAll(child, "child_bpki_ta", "parent_bpki_ta"), "<child_bpki_ta> is expected", false},
	"trust anchor, no base64":   {with(child, "AAAA", "A"), "base64", false},
	"large trust anchor":        {with(child, "AAAA", strings.Repeat("AAAA", 170_667)), "larger than 512000", false},
	"attribute of it":           {with(child, "<child_bpki_ta>", "<child_bpki_ta id=''>"), `attribute "id"`, false},
	"no service":                {with(parent, `service_uri="https://h/"`, ""), "lacks the attribute service_uri", false},
	"service by FTP":            {with(parent, "https:", "ftp:"), "service_uri", true}, // it is HTTP, both protocols say
	"long service":              {with(parent, "https://h/", "https://h/"+strings.Repeat("a", 4096)), "longer than 4096", false},
	"offer of something":        {with(parent, "</parent_response", "<offer>a</offer></parent_response"), "text in <offer>", false},
	"offer with attribute":      {with(parent, "</parent_response", `<offer id=""/></parent_response`), `attribute "id"`, false},
	"two offers":                {with(parent, "</parent_response", "<offer/><offer/></parent_response"), "<offer> in <parent_response>", false},
	"offer after a referral":    {with(parent, "</parent_response", referral+"<offer/></parent_response"), "<offer> in <parent_response>", false},
	"offer first":               {with(parent, "<parent_bpki_ta", "<offer/><parent_bpki_ta"), "<parent_bpki_ta> is expected", false},
	"offer of a publisher":      {with(publisher, "</publisher_request", "<offer/></publisher_request"), "<offer> in <publisher_request>", false},
	"referral without referrer": {with(publisher, "</publisher_request", "<referral>AAAA</referral></publisher_request"), "lacks the attribute referrer", false},
	"empty referral":            {with(publisher, "</publisher_request", with(referral, "AAAA", "")+"</publisher_request"), "is empty", true},
	"contact of a publisher":    {with(publisher, "</publisher_request", with(referral, "referrer", `contact_uri="mailto:a" referrer`)+"</publisher_request"), `attribute "contact_uri"`, false},
	"contact with a space":      {with(parent, "</parent_response", with(referral, "referrer", `contact_uri="a b" referrer`)+"</parent_response"), "URI is needed", true},
	"a hundred and one":         {with(publisher, "</publisher_request", strings.Repeat(referral, maxReferrals+1)+"</publisher_request"), "does not belong", true}, // our bound
	"no base":                   {with(repository, `sia_base="rsync://h/m/"`, ""), "lacks the attribute sia_base", false},
	"base by HTTPS":             {with(repository, "rsync:", "https:"), "rsync://", true},                                          // sia_base is rsync, section 5.2.4
	"notification by HTTP":      {with(repository, "version", `rrdp_notification_uri="http://h/n.xml" version`), "https://", true}, // RRDP is over HTTPS
	"referral of a child":       {with(child, "</child_request", referral+"</child_request"), "<referral> in <child_request>", false},
	"referral of a repository":  {with(repository, "</repository_response", referral+"</repository_response"), "<referral> in <repository_response>", false},
	"a name in capitals":        {strings.ReplaceAll(child, "child_request", "Child_Request"), "none of the messages", false},
}

func TestJudged(t *testing.T) {
	for name, c := range judged {
		_, err := parse([]byte(c.xml), "")
		if c.says == "" && err != nil {
			t.Errorf("%s: refused: %v", name, err)
		} else if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || fault.KindOf(err) != fault.BadInput) {
			t.Errorf("%s: refused with %v, which does not say %q", name, err, c.says)
		}
	}
}

// TestSchemaAgrees checks the table above with jing, so that it is the schema that tells what is strict.
func TestSchemaAgrees(t *testing.T) {
	messages := make(map[string][]byte)
	for name, c := range judged {
		messages[name] = []byte(c.xml)
	}
	complaints := wiretest.Complaints(t, schema(t), messages)
	for name, c := range judged {
		if complaint := complaints[name]; (complaint == "") != c.inSchema {
			t.Errorf("%s: valid by the schema is not %v: %s", name, c.inSchema, complaint)
		}
	}
}

// FuzzParse checks that what is taken is written again as a message that means the same.
func FuzzParse(f *testing.F) {
	for _, c := range judged {
		if len(c.xml) < 10_000 {
			f.Add([]byte(c.xml))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parse(data, "")
		if err != nil {
			if m != nil || fault.KindOf(err) != fault.BadInput {
				t.Fatalf("%v with %v", m, err)
			}
			return
		}
		again, err := parse(m.(written).XML(), "")
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%s\nis read as %+v, written as\n%s\nand read again as %+v, %v", data, m, m.(written).XML(), again, err)
		}
	})
}

func TestGoesOn(t *testing.T) {
	if _, err := parse([]byte(child+child), ""); err == nil || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("two requests: %v", err)
	}
}
