package publication

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"cadastre/internal/fault"
	"cadastre/internal/wirexml/wiretest"
)

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

func query(children string) string { return msg("query", children) }
func reply(children string) string { return msg("reply", children) }

func msg(kind, children string) string {
	return fmt.Sprintf(`<msg xmlns=%q version="4" type=%q>%s</msg>`, namespace, kind, children)
}

// judged are messages, with what an error about them says and whether the schema has them; it has those that are taken.
var judged = map[string]struct {
	xml, says string
	inSchema  bool
}{
	"query of nothing":         {query(""), "", true},
	"query for a list":         {query("<list/>"), "", true},
	"publish":                  {query(`<publish tag="" uri="rsync://h/m/o">AAAA</publish>`), "", true},
	"publish nothing":          {query(`<publish tag="" uri="rsync://h/m/o"/>`), "", true},
	"replace":                  {query(`<publish tag="a" uri="rsync://h/m/o" hash="` + strings.ToUpper("ab"+zeros[2:]) + `">AA AA</publish>`), "", true},
	"withdraw":                 {query(`<withdraw tag="" uri="rsync://h/m/o" hash="` + zeros + `"/>`), "", true},
	"both":                     {query(`<publish tag="" uri="rsync://h/m/o">AAAA</publish><withdraw tag="" uri="rsync://h/m/o" hash="` + zeros + `"/>`), "", true},
	"success":                  {reply("<success/>"), "", true},
	"empty list":               {reply(""), "", true},
	"list":                     {reply(`<list uri="rsync://h/m/o" hash="` + zeros + `"/><list uri="rsync://h/m/p" hash="` + zeros + `"/>`), "", true},
	"error":                    {reply(`<report_error error_code="other_error"/>`), "", true},
	"error with all":           {reply(`<report_error tag="t" error_code="xml_error"><error_text>a</error_text><failed_pdu><withdraw tag="" uri="rsync://h/m/o" hash="` + zeros + `"/></failed_pdu></report_error>`), "", true},
	"error of a list":          {reply(`<report_error error_code="xml_error"><failed_pdu><list/></failed_pdu></report_error>`), "", true},
	"error with empty text":    {reply(`<report_error error_code="xml_error"><error_text/></report_error>`), "", true},
	"type of many spaces":      {strings.Replace(query(""), `"query"`, `" query "`, 1), "", true},
	"attributes in any order":  {`<m:msg type="query" version="4" xmlns:m="` + namespace + `"><m:list/></m:msg>`, "", true},
	"no version":               {strings.Replace(query(""), `version="4"`, "", 1), "lacks the attribute version", false},
	"version 3":                {strings.Replace(query(""), `version="4"`, `version="3"`, 1), "version 4", false},
	"no type":                  {strings.Replace(query(""), `type="query"`, "", 1), "lacks the attribute type", false},
	"other type":               {strings.Replace(query(""), `type="query"`, `type="question"`, 1), `type "question"`, false},
	"unknown attribute":        {strings.Replace(query(""), "<msg", "<msg id='1'", 1), `attribute "id"`, false},
	"no name space":            {strings.Replace(query(""), namespace, "", 1), "namespace", false},
	"other root":               {strings.ReplaceAll(query(""), "msg", "message"), "not <msg>", false},
	"reply in a query":         {query("<success/>"), "<success>", false},
	"two lists":                {query("<list/><list/>"), "must be alone", false},
	"list after a change":      {query(`<publish tag="" uri="rsync://h/m/o">AAAA</publish><list/>`), "must be alone", false},
	"change after a list":      {query(`<list/><publish tag="" uri="rsync://h/m/o">AAAA</publish>`), "must be alone", false},
	"list with a tag":          {query(`<list tag=""/>`), `attribute "tag"`, false},
	"list with text":           {query("<list>text</list>"), "text in <list>", false},
	"no tag":                   {query(`<publish uri="rsync://h/m/o">AAAA</publish>`), "lacks the attribute tag", false},
	"long tag":                 {query(`<publish tag="` + strings.Repeat("a", 1025) + `" uri="rsync://h/m/o">AAAA</publish>`), "longer than 1024", false},
	"no uri":                   {query(`<publish tag="">AAAA</publish>`), "a PDU without a URI: line 1, <publish>: it lacks the attribute uri", false},
	"long uri":                 {query(`<publish tag="" uri="rsync://h/` + strings.Repeat("a", 4096) + `">AAAA</publish>`), "longer than 4096", false},
	"other uri":                {query(`<publish tag="" uri="https://h/m/o">AAAA</publish>`), "rsync://", true}, // only the RFC's text says rsync
	"no base64":                {query(`<publish tag="" uri="rsync://h/m/o">A*AA</publish>`), "rsync://h/m/o: line 1: what <publish> holds is no base64", false},
	"element in an object":     {query(`<publish tag="" uri="rsync://h/m/o"><list/></publish>`), "only text", false},
	"hash of another kind":     {query(`<publish tag="" uri="rsync://h/m/o" hash="ab">AAAA</publish>`), "SHA-256", true}, // it is SHA-256, the text says
	"long hash":                {query(`<publish tag="" uri="rsync://h/m/o" hash="` + zeros + `00">AAAA</publish>`), "longer than 64", true},
	"hash of no digits":        {query(`<publish tag="" uri="rsync://h/m/o" hash="z` + zeros[1:] + `">AAAA</publish>`), "not hexadecimal", false},
	"withdraw without hash":    {query(`<withdraw tag="" uri="rsync://h/m/o"/>`), "lacks the attribute hash", false},
	"withdraw of an object":    {query(`<withdraw tag="" uri="rsync://h/m/o" hash="` + zeros + `">AAAA</withdraw>`), "text in <withdraw>", false},
	"text among PDUs":          {query("text<list/>"), "text in <msg>", false},
	"query in a reply":         {reply(`<publish tag="" uri="rsync://h/m/o">AAAA</publish>`), "success, list or report_error", false},
	"two successes":            {reply("<success/><success/>"), "<success> after a <success>", false},
	"success and a list":       {reply(`<success/><list uri="rsync://h/m/o" hash="` + zeros + `"/>`), "<list> after a <success>", false},
	"list and an error":        {reply(`<list uri="rsync://h/m/o" hash="` + zeros + `"/><report_error error_code="other_error"/>`), "after a <list>", false},
	"success that holds":       {reply("<success><list/></success>"), "<list> in <success>", false},
	"list without hash":        {reply(`<list uri="rsync://h/m/o"/>`), "lacks the attribute hash", false},
	"no code":                  {reply("<report_error/>"), "lacks the attribute error_code", false},
	"unknown code":             {reply(`<report_error error_code="your_hair_is_on_fire"/>`), "your_hair_is_on_fire", false},
	"two texts":                {reply(`<report_error error_code="xml_error"><error_text>a</error_text><error_text>a</error_text></report_error>`), "<error_text> in <report_error>", false},
	"text after the PDU":       {reply(`<report_error error_code="xml_error"><failed_pdu/><error_text>a</error_text></report_error>`), "<error_text> in <report_error>", false},
	"two that failed":          {reply(`<report_error error_code="xml_error"><failed_pdu/><failed_pdu/></report_error>`), "<failed_pdu> in <report_error>", false},
	"two PDUs that failed":     {reply(`<report_error error_code="xml_error"><failed_pdu>` + strings.Repeat(`<publish tag="" uri="rsync://h/m/o">AAAA</publish>`, 2) + `</failed_pdu></report_error>`), "only one can be", true},
	"failed PDU without a tag": {reply(`<report_error error_code="xml_error"><failed_pdu><publish uri="rsync://h/m/o">AAAA</publish></failed_pdu></report_error>`), "lacks the attribute tag", false},
	"attribute of a text":      {reply(`<report_error error_code="xml_error"><error_text lang="en">a</error_text></report_error>`), `attribute "lang"`, false},
	"attribute of failed_pdu":  {reply(`<report_error error_code="xml_error"><failed_pdu id="1"/></report_error>`), `attribute "id"`, false},
	"long text":                {reply(`<report_error error_code="xml_error"><error_text>` + strings.Repeat("a", 512_001) + `</error_text></report_error>`), "longer than 512000", false},
}

func TestJudged(t *testing.T) {
	for name, c := range judged {
		var err error
		if strings.Contains(c.xml, `type="reply"`) {
			_, err = ParseReply([]byte(c.xml))
		} else {
			_, err = ParseQuery([]byte(c.xml))
		}
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
	complaints := wiretest.Complaints(t, "../../testdata/schemas/publication-4.rnc", messages)
	for name, c := range judged {
		if complaint := complaints[name]; (complaint == "") != c.inSchema {
			t.Errorf("%s: valid by the schema is not %v: %s", name, c.inSchema, complaint)
		}
	}
}

// TestKrill reads a reply as rpki-rs writes it: every text in a line of its own, no tag, nothing escaped in the text.
func TestKrill(t *testing.T) {
	got, err := ParseReply([]byte(reply("\n  <report_error error_code=\"no_object_present\">\n    <error_text>\n      There is no object present at this URI, yet a \"hash\" attribute was specified.\n    </error_text>\n  </report_error>\n")))
	want := &Reply{Errors: []ReportError{{Code: NoObjectPresent, Text: `There is no object present at this URI, yet a "hash" attribute was specified.`}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestGoesOn(t *testing.T) {
	if _, err := ParseQuery([]byte(query("") + query(""))); err == nil || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("two queries: %v", err)
	}
	if _, err := ParseReply([]byte(reply("<success/>") + "done")); err == nil || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("a reply and a word: %v", err)
	}
}
