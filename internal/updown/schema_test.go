package updown

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/wirexml/wiretest"
)

func message(kind, children string) string {
	return fmt.Sprintf(`<message xmlns=%q version="1" sender="a" recipient="b" type=%q>%s</message>`, namespace, kind, children)
}

const (
	sets   = `resource_set_as="1" resource_set_ipv4="10.0.0.0/8" resource_set_ipv6="" resource_set_notafter="2030-01-01T00:00:00Z"`
	issuer = `<issuer>AAAA</issuer>`
	aCert  = `<certificate cert_url="rsync://h/m/c.cer">AAAA</certificate>`
	ski    = "CfAUC3n7C_-o71S57D65i9DLnOw"
)

// class is a class with other attributes in the place of some.
func class(children string, replace ...string) string {
	return strings.NewReplacer(replace...).Replace(`<class class_name="c" cert_url="rsync://h/m/c.cer" ` + sets + `>` + children + `</class>`)
}

// judged are messages, with what an error about them says and whether the schema has them.
var judged = map[string]struct {
	xml, says string
	inSchema  bool
}{
	"list":               {message("list", ""), "", true},
	"empty list":         {message("list_response", ""), "", true},
	"class":              {message("list_response", class(issuer)), "", true},
	"class with all":     {message("list_response", class(aCert+aCert+issuer, "class_name", `suggested_sia_head="rsync://h/m/" class_name`)), "", true},
	"two classes":        {message("list_response", class(issuer)+class(issuer, `"c"`, `"d"`)), "", true},
	"two URLs":           {message("list_response", class(issuer, "h/m/c.cer", "h/m/c.cer,https://h/c.cer")), "", true},
	"a time of a zone":   {message("list_response", class(issuer, "00Z", "00.5+01:00")), "", true},
	"issue":              {message("issue", `<request class_name="c">AAAA</request>`), "", true},
	"issue with limits":  {message("issue", `<request class_name="c" req_resource_set_as="" req_resource_set_ipv4="10.0.0.0/8,11.0.0.0-11.0.0.4" req_resource_set_ipv6="::/0">AA AA</request>`), "", true},
	"issued":             {message("issue_response", class(aCert+issuer)), "", true},
	"revoke":             {message("revoke", `<key class_name="c" ski="`+ski+`"/>`), "", true},
	"revoked":            {message("revoke_response", `<key class_name="c" ski="`+ski+`"/>`), "", true},
	"revoke, padded":     {message("revoke", `<key class_name="c" ski="`+ski+`="/>`), "", true},
	"error":              {message("error_response", `<status>1101</status>`), "", true},
	"error, described":   {message("error_response", `<status>1101</status><description xml:lang="en-US">a</description>`), "", true},
	"error, unknown":     {message("error_response", `<status> 999999999999999 </status>`), "", true},
	"names with spaces":  {strings.Replace(message("list", ""), `"a"`, `" a  b "`, 1), "", true},
	"no resource sets":   {message("list_response", class(issuer, `resource_set_as="1" resource_set_ipv4="10.0.0.0/8" resource_set_ipv6=""`, "")), "", false},
	"Krill's AS numbers": {message("list_response", class(issuer, `as="1"`, `as="AS1, AS3-AS5"`)), "", false},
	"Krill's addresses":  {message("list_response", class(issuer, "10.0.0.0/8", "10.0.0.0/8, 11.0.0.0/8")), "", false},
	"Krill's error":      {message("error_response", "<status>\n 1101</status><description>\n already</description>"), "", false},

	"unknown type":         {message("sing", ""), "1103", false},
	"version 2":            {strings.Replace(message("list", ""), `"1"`, `"2"`, 1), "1102", false},
	"no version":           {strings.Replace(message("list", ""), `version="1"`, "", 1), "lacks the attribute version", false},
	"no sender":            {strings.Replace(message("list", ""), `sender="a"`, "", 1), "lacks the attribute sender", false},
	"empty sender":         {strings.Replace(message("list", ""), `"a"`, `""`, 1), "sender is empty", true},
	"long recipient":       {strings.Replace(message("list", ""), `"b"`, `"`+strings.Repeat("b", 1025)+`"`, 1), "recipient is longer", false},
	"no type":              {strings.Replace(message("list", ""), `type="list"`, "", 1), "lacks the attribute type", false},
	"unknown attribute":    {strings.Replace(message("list", ""), "sender", `id="1" sender`, 1), `attribute "id"`, false},
	"no name space":        {strings.Replace(message("list", ""), namespace, "", 1), "namespace", false},
	"other root":           {strings.ReplaceAll(message("list", ""), "message", "msg"), "not <message>", false},
	"list that holds":      {message("list", class(issuer)), "<class> in <message>", false},
	"text":                 {message("list", "text"), "text in <message>", false},
	"no class":             {message("issue_response", ""), "lacks its <class>", false},
	"no class name":        {message("list_response", class(issuer, `class_name="c"`, "")), "lacks the attribute class_name", false},
	"no cert_url":          {message("list_response", class(issuer, `cert_url="rsync://h/m/c.cer"`, "")), "lacks the attribute cert_url", false},
	"only HTTP":            {message("list_response", class(issuer, "rsync:", "https:")), "no rsync URI", true},   // section 3.3.2
	"no URL":               {message("list_response", class(issuer, "rsync://h/m/c.cer", "h")), "no rsync", true}, // section 3.3.2
	"long URL":             {message("list_response", class(issuer, "c.cer", strings.Repeat("c", 4096))), "cert_url is longer", false},
	"no time":              {message("list_response", class(issuer, `resource_set_notafter="2030-01-01T00:00:00Z"`, "")), "lacks the attribute resource_set_notafter", false},
	"wrong time":           {message("list_response", class(issuer, "2030-01-01T", "")), "no date and time", false},
	"a time of no zone":    {message("list_response", class(issuer, "00Z", "00")), "no date and time", true}, // section 3.3.2 wants UTC
	"wrong AS":             {message("list_response", class(issuer, `as="1"`, `as="1-"`)), "no AS number", true},
	"AS in reverse":        {message("list_response", class(issuer, `as="1"`, `as="3-2"`)), "no AS number", true},
	"AS too large":         {message("list_response", class(issuer, `as="1"`, `as="4294967296"`)), "no AS number", true},
	"inherit":              {message("list_response", class(issuer, `as="1"`, `as="inherit"`)), "no AS number", false},
	"wrong address":        {message("list_response", class(issuer, "10.0.0.0/8", "10.0.0.0/33")), "resource_set_ipv4 cannot be read", true},
	"loose bits":           {message("list_response", class(issuer, "10.0.0.0/8", "10.0.0.1/8")), "resource_set_ipv4 cannot be read", true},
	"other family":         {message("list_response", class(issuer, "10.0.0.0/8", "::/0")), "another kind", false},
	"AS as an address":     {message("list_response", class(issuer, "10.0.0.0/8", "AS1")), "another kind", false},
	"long resource set":    {message("list_response", class(issuer, "10.0.0.0/8", strings.Repeat("10.0.0.0/8,", 47_000))), "resource_set_ipv4 is longer", false},
	"other suggestion":     {message("list_response", class(issuer, "class_name", `suggested_sia_head="https://h/m/" class_name`)), "rsync://", false},
	"no issuer":            {message("list_response", class(aCert)), "no <issuer>", false},
	"two issuers":          {message("list_response", class(issuer+issuer)), "<issuer> in <class>", false},
	"issuer first":         {message("list_response", class(issuer+aCert)), "<certificate> in <class>", false},
	"empty issuer":         {message("list_response", class("<issuer/>")), "<issuer> is empty", true},
	"attribute of issuer":  {message("list_response", class(`<issuer id="1">AAAA</issuer>`)), `attribute "id"`, false},
	"other in a class":     {message("list_response", class("<crl/>"+issuer)), "<crl> in <class>", false},
	"other than a class":   {message("list_response", "<group>"+issuer+"</group>"), "<group> where <class>", false},
	"certificate no URL":   {message("list_response", class("<certificate>AAAA</certificate>"+issuer)), "lacks the attribute cert_url", false},
	"class twice":          {message("list_response", class(issuer)+class(issuer)), `class "c": line 1: it is listed twice`, true}, // it would mean nothing
	"none issued":          {message("issue_response", class(issuer)), "0 certificates", true},                                     // section 3.4.2
	"two issued":           {message("issue_response", class(aCert+aCert+issuer)), "2 certificates", true},                         // section 3.4.2
	"two issue responses":  {message("issue_response", class(aCert+issuer)+class(aCert+issuer)), "<class> in <message>", false},
	"no request":           {message("issue", ""), "lacks its <request>", false},
	"two requests":         {message("issue", strings.Repeat(`<request class_name="c">AAAA</request>`, 2)), "<request> in <message>", false},
	"empty request":        {message("issue", `<request class_name="c"/>`), "<request> is empty", true},
	"request no class":     {message("issue", `<request>AAAA</request>`), "lacks the attribute class_name", false},
	"request no base64":    {message("issue", `<request class_name="c">A</request>`), "base64", false},
	"large request":        {message("issue", `<request class_name="c">`+strings.Repeat("AAAA", 170_667)+`</request>`), "larger than 512000", false},
	"limit without a type": {message("issue", `<request class_name="c" req_resource_set="">AAAA</request>`), "req_resource_set", false},
	"other than a request": {message("issue", `<key class_name="c" ski="`+ski+`"/>`), "<key> where <request>", false},
	"no ski":               {message("revoke", `<key class_name="c"/>`), "lacks the attribute ski", false},
	"short ski":            {message("revoke", `<key class_name="c" ski="`+ski[4:]+`"/>`), "SHA-1", true},
	"ski of plain base64":  {message("revoke", `<key class_name="c" ski="`+strings.Replace(ski, "_", "/", 1)+`"/>`), "SHA-1", true},
	"key that holds":       {message("revoke", `<key class_name="c" ski="`+ski+`">AAAA</key>`), "text in <key>", false},
	"two keys":             {message("revoke", strings.Repeat(`<key class_name="c" ski="`+ski+`"/>`, 2)), "<key> in <message>", false},
	"no status":            {message("error_response", ""), "lacks its <status>", false},
	"wrong status":         {message("error_response", "<status>none</status>"), "no positive number", false},
	"status 0":             {message("error_response", "<status>0</status>"), "no positive number", false},
	"large status":         {message("error_response", "<status>1000000000000000</status>"), "no positive number", false},
	"attribute of status":  {message("error_response", `<status id="1">1101</status>`), `attribute "id"`, false},
	"other in an error":    {message("error_response", "<status>1101</status><text/>"), "<text> where <description>", false},
	"two descriptions":     {message("error_response", `<status>1101</status>`+strings.Repeat(`<description xml:lang="en">a</description>`, 2)), "<description> in <message>", false},
	"long description":     {message("error_response", `<status>1101</status><description xml:lang="en">`+strings.Repeat("a", 1025)+`</description>`), "longer than 1024", false},
}

func TestJudged(t *testing.T) {
	for name, c := range judged {
		m, err := Parse([]byte(c.xml))
		if c.says == "" && (err != nil || m.Body == nil) {
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
	complaints := wiretest.Complaints(t, wiretest.Path(t, "schemas/provisioning.rnc"), messages)
	for name, c := range judged {
		if complaint := complaints[name]; (complaint == "") != c.inSchema {
			t.Errorf("%s: valid by the schema is not %v: %s", name, c.inSchema, complaint)
		}
	}
}

// TestKrill reads messages as rpki-rs writes them: "AS" before the numbers, spaces behind the commas, texts in lines of
// their own and no language.
func TestKrill(t *testing.T) {
	set := func(text string) *inr.Set {
		parsed, err := inr.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return &parsed
	}
	for xml, want := range map[string]Body{
		message("issue", `<request class_name="0" req_resource_set_as="AS65000, AS65003-AS65005" req_resource_set_ipv4="10.0.0.0/8, 192.168.0.0-192.168.1.3" req_resource_set_ipv6="">`+"\n    AAAA\n  </request>\n"): &Issue{
			"0", Limit{set("AS65000,AS65003-AS65005"), set("10.0.0.0/8,192.168.0.0-192.168.1.3"), set("")}, []byte{0, 0, 0},
		},
		message("error_response", "\n  <status>\n    1104\n  </status>\n  <description>\n    request scheduled for processing\n  </description>\n"): &Error{StatusScheduled, "request scheduled for processing"},
		message("list_response", class(issuer, `"1"`, `"AS1, AS3"`, "10.0.0.0/8", "10.0.0.0/8, 11.0.0.0/32")): &ListResponse{[]Class{{
			Name: "c", CertURLs: []string{"rsync://h/m/c.cer"}, Resources: *set("AS1,AS3,10.0.0.0/8,11.0.0.0"),
			NotAfter: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Issuer: []byte{0, 0, 0},
		}}},
	} {
		m, err := Parse([]byte(xml))
		if err != nil || !reflect.DeepEqual(m.Body, want) {
			t.Errorf("%s\nis read as %+v, %v", xml, m, err)
		}
	}
}

func TestGoesOn(t *testing.T) {
	if _, err := Parse([]byte(message("list", "") + message("list", ""))); err == nil || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("two messages: %v", err)
	}
}

// FuzzParse checks that what is taken is written again as a message that means the same; descriptions may differ.
func FuzzParse(f *testing.F) {
	for _, c := range judged {
		if len(c.xml) < 10_000 {
			f.Add([]byte(c.xml))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		xml, err := m.XML()
		if err != nil {
			t.Fatalf("%s\nis read as %+v and not written: %v", data, m, err)
		}
		again, err := Parse(xml)
		if err != nil {
			t.Fatalf("%s\nis written as\n%s\nand not read: %v", data, xml, err)
		}
		if e, ok := m.Body.(*Error); ok {
			e.Description, again.Body.(*Error).Description = "", ""
		}
		if !reflect.DeepEqual(m, again) {
			t.Fatalf("%s\nis read as %+v and again as %+v", data, m, again)
		}
	})
}
