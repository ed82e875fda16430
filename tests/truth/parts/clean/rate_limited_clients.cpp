struct $Client {
    std::vector<double> calls;
    std::string name;
};

static std::map<long, std::unique_ptr<$Client>> $clients;

/* A bounded set of clients, that come by chance; each keeps its last few calls. */
void $op(long i, double passed) {
    long who = static_cast<long>(static_cast<unsigned long>(i) * 2654435761UL % $some);
    auto &client = $clients[who];
    if (!client) {
        client = std::make_unique<$Client>();
        client->name = std::string(static_cast<size_t>($size), 'c');
    }
    client->calls.push_back(passed);
    if (client->calls.size() > $few)
        client->calls.erase(client->calls.begin());
}
