package setup

import "cadastre/internal/wirexml"

// Messages are written as files that people see: base64 in lines that mail carries.

// XML writes the message.
func (m *ChildRequest) XML() []byte {
	w := begin("child_request")
	w.Attr("child_handle", m.ChildHandle)
	w.Optional("tag", m.Tag)
	w.OpenLine()
	trustAnchor(w, "child_bpki_ta", m.TrustAnchor)
	w.Close("child_request")
	return w.Bytes()
}

// XML writes the message.
func (m *ParentResponse) XML() []byte {
	w := begin("parent_response")
	w.Attr("service_uri", m.ServiceURI)
	w.Attr("child_handle", m.ChildHandle)
	w.Attr("parent_handle", m.ParentHandle)
	w.Optional("tag", m.Tag)
	w.OpenLine()
	trustAnchor(w, "parent_bpki_ta", m.TrustAnchor)
	if m.Offer {
		w.Tag("offer")
		w.Empty()
	}
	referrals(w, m.Referrals, true)
	w.Close("parent_response")
	return w.Bytes()
}

// XML writes the message. Krill takes none with referrals.
func (m *PublisherRequest) XML() []byte {
	w := begin("publisher_request")
	w.Attr("publisher_handle", m.PublisherHandle)
	w.Optional("tag", m.Tag)
	w.OpenLine()
	trustAnchor(w, "publisher_bpki_ta", m.TrustAnchor)
	referrals(w, m.Referrals, false)
	w.Close("publisher_request")
	return w.Bytes()
}

// XML writes the message.
func (m *RepositoryResponse) XML() []byte {
	w := begin("repository_response")
	w.Attr("service_uri", m.ServiceURI)
	w.Attr("publisher_handle", m.PublisherHandle)
	w.Attr("sia_base", m.SIABase)
	w.Optional("rrdp_notification_uri", m.RRDPNotificationURI)
	w.Optional("tag", m.Tag)
	w.OpenLine()
	trustAnchor(w, "repository_bpki_ta", m.TrustAnchor)
	w.Close("repository_response")
	return w.Bytes()
}

func begin(name string) *wirexml.Writer {
	w := new(wirexml.Writer)
	w.Tag(name)
	w.Attr("xmlns", namespace)
	w.Attr("version", version)
	return w
}

func trustAnchor(w *wirexml.Writer, name string, certificate []byte) {
	w.Tag(name)
	w.Open()
	w.Base64Lines(certificate)
	w.Close(name)
}

func referrals(w *wirexml.Writer, all []Referral, contact bool) {
	for _, referral := range all {
		w.Tag("referral")
		w.Attr("referrer", referral.Referrer)
		if contact {
			w.Optional("contact_uri", referral.ContactURI)
		}
		w.Open()
		w.Base64Lines(referral.Token)
		w.Close("referral")
	}
}
